// Bruno's command line, for the programs that run a collection of docs/integrations with it.

import { spawn } from 'node:child_process'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bru = fileURLToPath(new URL('../node_modules/@usebruno/cli/bin/bru.js', import.meta.url))

/** environmentFile is Bruno's form of an environment outside of the collection. */
export function environmentFile(variables, secret) {
  return JSON.stringify({
    name: 'settings',
    variables: Object.entries(variables).map(([name, value]) => ({ name, value, enabled: true, secret: name === secret })),
  })
}

/** run resolves to what was run of the collection, in words; no request at all is no success. */
export async function run(name, folder, args) {
  const collection = fileURLToPath(new URL(`../../../docs/integrations/${name}/`, import.meta.url))
  const report = join(folder, 'report.json')
  const { code, output } = await command(collection, ['run', ...args, '--bail', '--sandbox', 'safe', '--reporter-json', report])
  if (code !== 0) throw Object.assign(new Error(`bru exited with ${code}\n${output}`), { exitCode: code })
  const [{ summary }] = JSON.parse(await readFile(report, 'utf8'))
  const requests = (await readdir(collection)).filter((file) => /^\d\d .*\.bru$/.test(file)).length
  if (summary.passedRequests < requests || summary.totalAssertions < requests) {
    throw new Error(`bru ran ${summary.passedRequests} requests and ${summary.totalAssertions} assertions, want at least ${requests} of each`)
  }
  return `${summary.passedRequests} requests, ${summary.totalTests} tests, ${summary.totalAssertions} assertions`
}

function command(collection, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bru, ...args], { cwd: collection, env: { ...process.env, NO_COLOR: '1' } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
