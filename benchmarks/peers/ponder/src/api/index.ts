import { Hono } from "hono";

// Ponder wants a server of some kind; nobody asks it anything here.
export default new Hono();
