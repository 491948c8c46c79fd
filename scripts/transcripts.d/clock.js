// A gateway whose clock is an hour ahead: Linux has no clock of its own for a container.
const now = Date.now;
Date.now = () => now() + 60 * 60 * 1000;
