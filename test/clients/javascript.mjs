// The programs in docs/integrations/javascript.md: each is run as it stands there.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect } from './lib/contract.mjs'
import { main } from './lib/settings.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

await main('javascript.md', async (_, ok) => {
  const text = readFileSync(new URL('../../docs/integrations/javascript.md', import.meta.url), 'utf8')
  const programs = [...text.matchAll(/^## (\S+)$[^]*?^```js\n([^]*?)^```$/gm)]
  expect('programs', programs.map(([, heading]) => heading).join(), 'openid-client,simple-oauth2')
  for (const [, heading, code] of programs) {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { cwd: here, encoding: 'utf8', timeout: 60_000 })
    if (status !== 0) throw new Error(`the program under ${heading} exited with ${status}: ${stderr}`)
    const states = [...stdout.matchAll(/ (ACTIVE|SUSPENDED)$/gm)].map(([, state]) => state)
    expect(`the program under ${heading}: states`, states.join(), 'SUSPENDED,SUSPENDED,ACTIVE')
    ok(heading)
  }
})
