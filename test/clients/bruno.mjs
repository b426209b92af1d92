// Bruno: runs the importable collection of docs/integrations/bruno with Bruno's command line, once for
// each generation of URLs and once for each way of handing in the settings.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentFile, run } from './lib/bruno.mjs'
import { expect } from './lib/contract.mjs'
import { generations, main } from './lib/settings.mjs'

await main('bruno', async (s, ok) => {
  const variables = {
    base_url: s.baseUrl, account_id: s.account, client_id: s.clientId, client_secret: s.clientSecret, user_id: s.user,
  }
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-bruno-'))
  try {
    const overrides = Object.entries(variables).flatMap(([name, value]) => ['--env-var', `${name}=${value}`])
    for (const environment of ['Holdfast', 'Holdfast-v1beta1']) {
      ok(`environment ${environment}: ${await run('bruno', folder, ['--env', environment, ...overrides])}`)
    }

    const file = join(folder, 'settings.json')
    await writeFile(file, environmentFile({ ...variables, users_path: 'v1', oauth_path: generations[0].oauth.slice(1) }, 'client_secret'), { mode: 0o600 })
    ok(`environment from a file: ${await run('bruno', folder, ['--env-file', file])}`)

    await writeFile(file, environmentFile({ ...variables, client_secret: `${s.clientSecret}x` }, 'client_secret'), { mode: 0o600 })
    const failure = await run('bruno', folder, ['--env-file', file]).then(() => undefined, (err) => err)
    expect('exit code with a wrong secret', failure?.exitCode, 1)
    ok('a wrong secret fails the run')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
