// A receiver that trusts nothing but the Standard Webhooks library: 204 for what verifies, 401 for what does not.
// Secrets are its arguments. It prints its port, then one JSON line a request, and ends with its standard input.
const http = require('http');
const { Webhook } = require('standardwebhooks');

const verifiers = process.argv.slice(2).map((secret) => new Webhook(secret));
const verified = (verifier, body, headers) => {
  try { return verifier.verify(body, headers); } catch (error) { return undefined; }
};
const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    const body = Buffer.concat(parts).toString('utf8');
    const found = verifiers.map((verifier) => verified(verifier, body, request.headers));
    const id = request.headers['webhook-id'];
    console.log(JSON.stringify({ id, verified: found.map((one) => one !== undefined), payload: found.find(Boolean) }));
    response.writeHead(found.some((one) => one !== undefined) ? 204 : 401).end();
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
process.stdin.resume().on('end', () => process.exit(0));
