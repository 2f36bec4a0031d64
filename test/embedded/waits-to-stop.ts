import { rmSync, writeFileSync } from 'node:fs';
import { askedToStop } from '../../embedded/processes/stop-request.ts';

/**
 * Stands for `npm start` in tests. It writes its process number, that it lives, and that it was asked to
 * stop, into files of the working directory.
 */
const asked = askedToStop();
let beats = 0;
setInterval(() => writeFileSync('beats', String(++beats)), 50);
writeFileSync('pid', String(process.pid));
await asked;
rmSync('pid');
process.exit(0);
