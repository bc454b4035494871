"""What is told by the clock and not by blocks: blindness, reminders, digests, and the heartbeat of it all."""

from app.alerts.timers.options import TimerOptions as TimerOptions
from app.alerts.timers.timers import Timers as Timers
from app.alerts.timers.timers import together as together
