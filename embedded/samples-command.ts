import { addSamples, removeSamples } from './samples.ts';
import { readSettings } from './settings.ts';

/**
 * `npm run samples -- add|remove [url]`: the sample producers and rules, added where they are missing or removed with all
 * that they stored. `url` is the API's, http://127.0.0.1:8000 (or HOST's and PORT's) by default.
 */
const [command, url] = process.argv.slice(2);
try {
  const api = url?.replace(/\/$/, '') ?? readSettings().apiUrl;
  if (command === 'add') {
    const { producers, rules } = await addSamples(api);
    console.log(`Added ${producers} sample producers and ${rules} sample rules.`);
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
