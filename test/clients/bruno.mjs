// Bruno: runs the importable collection of docs/integrations/bruno with Bruno's command line, once for
// each generation of URLs and once for each way of handing in the settings.

import { spawn } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from './lib/contract.mjs'
import { generations, main } from './lib/settings.mjs'

const bru = fileURLToPath(new URL('node_modules/@usebruno/cli/bin/bru.js', import.meta.url))
const collection = fileURLToPath(new URL('../../docs/integrations/bruno/', import.meta.url))

await main('bruno', async (s, ok) => {
  const variables = {
    base_url: s.baseUrl, account_id: s.account, client_id: s.clientId, client_secret: s.clientSecret, user_id: s.user,
  }
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-bruno-'))
  try {
    const overrides = Object.entries(variables).flatMap(([name, value]) => ['--env-var', `${name}=${value}`])
    for (const environment of ['Holdfast', 'Holdfast-v1beta1']) {
      ok(`environment ${environment}: ${await run(folder, ['--env', environment, ...overrides])}`)
    }

    const file = join(folder, 'settings.json')
    await writeFile(file, environmentFile({ ...variables, users_path: 'v1', oauth_path: generations[0].oauth.slice(1) }), { mode: 0o600 })
    ok(`environment from a file: ${await run(folder, ['--env-file', file])}`)

    await writeFile(file, environmentFile({ ...variables, client_secret: `${s.clientSecret}x` }), { mode: 0o600 })
    const failure = await run(folder, ['--env-file', file]).then(() => undefined, (err) => err)
    expect('exit code with a wrong secret', failure?.exitCode, 1)
    ok('a wrong secret fails the run')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

// environmentFile is Bruno's form of an environment outside of the collection.
function environmentFile(variables) {
  return JSON.stringify({
    name: 'settings',
    variables: Object.entries(variables).map(([name, value]) => ({ name, value, enabled: true, secret: name === 'client_secret' })),
  })
}

// run resolves to what was run, in words; no request at all is no success.
async function run(folder, args) {
  const report = join(folder, 'report.json')
  const { code, output } = await command(['run', ...args, '--bail', '--sandbox', 'safe', '--reporter-json', report])
  if (code !== 0) throw Object.assign(new Error(`bru exited with ${code}\n${output}`), { exitCode: code })
  const [{ summary }] = JSON.parse(await readFile(report, 'utf8'))
  const requests = (await readdir(collection)).filter((name) => /^\d\d .*\.bru$/.test(name)).length
  if (summary.passedRequests < requests || summary.totalAssertions < requests) {
    throw new Error(`bru ran ${summary.passedRequests} requests and ${summary.totalAssertions} assertions, want at least ${requests} of each`)
  }
  return `${summary.passedRequests} requests, ${summary.totalTests} tests, ${summary.totalAssertions} assertions`
}

function command(args) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [bru, ...args], { cwd: collection, env: { ...process.env, NO_COLOR: '1' } })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
