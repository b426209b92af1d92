// Bruno: runs the importable collection of docs/integrations/bruno-events with Bruno's command line.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentFile, run } from './lib/bruno.mjs'
import { expect } from './lib/contract.mjs'
import { eventsSettings, main } from './lib/settings.mjs'

await main('bruno-events', async (s, ok) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-bruno-'))
  try {
    const file = join(folder, 'settings.json')
    const variables = { base_url: s.baseUrl, events_token: s.eventsToken }
    await writeFile(file, environmentFile(variables, 'events_token'), { mode: 0o600 })
    ok(await run('bruno-events', folder, ['--env-file', file]))

    await writeFile(file, environmentFile({ ...variables, events_token: `${s.eventsToken}x` }, 'events_token'), { mode: 0o600 })
    const failure = await run('bruno-events', folder, ['--env-file', file]).then(() => undefined, (err) => err)
    expect('exit code with a wrong token', failure?.exitCode, 1)
    ok('a wrong token fails the run')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, eventsSettings)
