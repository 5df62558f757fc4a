// A TUF client that is not ours, for the tests: updates from a published tree as npm tuf-js does it.
//
//   node client.mjs METADATA_DIR METADATA_URL TARGET_DIR TARGET_URL [TARGET...]
//
// METADATA_DIR holds the trusted root.json. Prints one line of JSON: the version of each top-level role that
// the client ended up with and where each target was put; or the error's name and message, and exits 1.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Updater } from 'tuf-js';

const ROLES = ['root', 'timestamp', 'snapshot', 'targets'];

const [metadataDir, metadataBaseUrl, targetDir, targetBaseUrl, ...targets] = process.argv.slice(2);
if (targetBaseUrl === undefined) {
  console.error('usage: node client.mjs METADATA_DIR METADATA_URL TARGET_DIR TARGET_URL [TARGET...]');
  process.exit(2);
}

function heldVersion(role) {
  const metadata = JSON.parse(readFileSync(join(metadataDir, `${role}.json`), 'utf8'));
  return [role, metadata.signed.version];
}

async function update() {
  const updater = new Updater({
    metadataDir,
    metadataBaseUrl,
    targetDir,
    targetBaseUrl,
    // Retries would turn each refusal into a minute of waiting.
    config: { fetchRetries: 0 },
  });
  await updater.refresh();
  const downloaded = {};
  for (const target of targets) {
    const info = await updater.getTargetInfo(target);
    if (info === undefined) {
      throw new Error(`no role lists the target ${target}`);
    }
    downloaded[target] = await updater.downloadTarget(info);
  }
  return { versions: Object.fromEntries(ROLES.map(heldVersion)), downloaded };
}

try {
  console.log(JSON.stringify(await update()));
} catch (error) {
  // tuf-js leaves `name` at "Error"; the class is what tells one refusal from another.
  console.log(JSON.stringify({ error: error.constructor.name, message: error.message }));
  process.exitCode = 1;
}
