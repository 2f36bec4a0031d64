// Preloaded by `node --import`: this process's clock is CLOCK_SKEW_MS off.
const now = Date.now;
const skew = Number(process.env.CLOCK_SKEW_MS);
Date.now = () => now() + skew;
