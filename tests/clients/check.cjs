// What the client scripts share: named checks, run one after the other, each
// with a time limit. Prints one line a check; exit code 1 when one failed.
'use strict';
const assert = require('node:assert');

const LIMIT_MS = 20000;

function limited(promise, name) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(name + ' took too long')),
      LIMIT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function run(checks) {
  let failed = 0;
  for (const [name, check] of Object.entries(checks)) {
    try {
      await limited(check(), name);
      console.log('ok ' + name);
    } catch (error) {
      failed++;
      console.log('FAILED ' + name + ': ' + error.stack);
    }
  }
  process.exit(failed > 0 ? 1 : 0);
}

module.exports = { assert, run };
