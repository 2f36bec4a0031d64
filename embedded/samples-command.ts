import { parseArgs } from 'node:util';
import { addSamples, addSamplesToEmpty, removeSamples } from './samples.ts';
import { readSettings } from './settings.ts';

/**
 * `npm run samples -- add|remove [url] [--once]` adds the sample producers and rules that are missing, or
 * removes all of them with everything they stored. `url` is the API's; the default is http://127.0.0.1:8000,
 * with HOST and PORT if set. If the API requires a key, BOOTSTRAP_KEY or BOOTSTRAP_KEY_FILE must contain one.
 * With `--once`, samples are added only if there is no producer and no rule yet.
 */
const { values, positionals } = parseArgs({
  options: { once: { type: 'boolean' } },
  allowPositionals: true,
  strict: false,
});
const [command, url] = positionals;
try {
  const { apiUrl, apiKey: key } = readSettings();
  const api = { url: url?.replace(/\/$/, '') ?? apiUrl, key };
  if (command === 'add') {
    const added = await (values.once ? addSamplesToEmpty(api) : addSamples(api));
    console.log(
      added
        ? `Added ${added.producers} sample producers and ${added.rules} sample rules.`
        : 'Added no samples: there are producers or rules already.',
    );
  } else if (command === 'remove') {
    const removed = Object.entries(await removeSamples(api)).map(
      ([what, count]) => `${count} ${what.replaceAll('_', ' ')}`,
    );
    console.log(`Removed ${removed.join(', ')}.`);
  } else {
    console.error('Say "npm run samples -- add" or "npm run samples -- remove".');
    process.exitCode = 2;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
