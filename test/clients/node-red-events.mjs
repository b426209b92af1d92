// Node-RED as a shipper: its own program, in a folder of its own, with the flow that reads the Events API and
// appends each event to a file. It is stopped and started again on the way, and may neither lose nor repeat any.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'
import { expect } from './lib/contract.mjs'
import { eventsSettings, main } from './lib/settings.mjs'

const program = fileURLToPath(new URL('node_modules/node-red/red.js', import.meta.url))
const streams = ['auditevents', 'itemusages', 'signinattempts']

await main('node-red-events', async (s, ok) => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-node-red-'))
  try {
    const file = join(folder, 'events.ndjson')
    await writeFile(file, '')
    await copyFile(new URL('node-red/events.json', import.meta.url), join(folder, 'flow.json'))
    await writeFile(join(folder, 'settings.cjs'), `module.exports = {
      flowFile: 'flow.json', httpAdminRoot: '/admin', httpNodeRoot: '/', disableEditor: true, uiHost: '127.0.0.1',
      telemetry: { enabled: false }, contextStorage: { default: { module: 'localfilesystem' } },
      externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
      logging: { console: { level: 'warn', metrics: false, audit: false } },
    }`)

    let node = await start(folder, s, file)
    const shipped = {}
    try {
      for (const stream of streams) {
        shipped[stream] = await ship(node.url, stream)
      }
      expect('pages of audit events, of which there are many', shipped.auditevents.pages > 1, true)
      expect('lines', (await lines(file)).length, streams.reduce((sum, stream) => sum + shipped[stream].shipped, 0))
      ok(`all there was: ${streams.map((stream) => `${shipped[stream].shipped} ${stream}`).join(', ')}`)

      await act(s, 'suspend')
      expect('new audit events', (await ship(node.url, 'auditevents')).shipped >= 1, true)
      expectLast(await lines(file), s, 'suspend')
      expect('new audit events, asked for again', (await ship(node.url, 'auditevents')).shipped, 0)
      ok('what is new, once')
    } finally {
      await node.stop()
    }

    await act(s, 'reactivate') // while nobody reads
    node = await start(folder, s, file)
    try {
      expect('audit events after the restart', (await ship(node.url, 'auditevents')).shipped >= 1, true)
      expectLast(await lines(file), s, 'reactive')
      expect('sign-in attempts after the restart', (await ship(node.url, 'signinattempts')).shipped, 0)
      ok('goes on where it was when it was stopped')
    } finally {
      await node.stop()
    }
    await lines(file)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}, eventsSettings)

// lines are the events in the file; each must be there once.
async function lines(file) {
  const events = (await readFile(file, 'utf8')).split('\n').filter(Boolean).map((line) => JSON.parse(line))
  expect('events in the file that are there twice', events.length - new Set(events.map((e) => e.uuid)).size, 0)
  return events
}

function expectLast(events, { user }, action) {
  const last = events.findLast((e) => e.object_type === 'user')
  expect('the last thing that was done to a person', `${last?.action} ${last?.object_uuid}`, `${action} ${user}`)
}

async function start(folder, { baseUrl, eventsToken }, file) {
  const port = await freePort()
  const child = spawn(process.execPath, [program, '--userDir', folder, '--settings', join(folder, 'settings.cjs'), '--port', String(port)], {
    env: { PATH: process.env.PATH, HOME: folder, BASE_URL: baseUrl, EVENTS_TOKEN: eventsToken, EVENTS_FILE: file },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk))
  const exited = once(child, 'exit')
  const stop = async () => {
    child.kill('SIGTERM')
    await exited
  }
  const url = `http://127.0.0.1:${port}`
  for (let i = 0; i < 300; i++) {
    if (child.exitCode !== null) break
    // Node-RED listens before its flows run; from the flow comes what Holdfast says to a stream that there is not.
    const answer = await fetch(`${url}/holdfast/ship?stream=nothing`).then((response) => response.json()).catch(() => undefined)
    if (answer?.Error) return { url, stop }
    await pause(100)
  }
  await stop()
  throw new Error(`Node-RED does not start:\n${output}`)
}

async function ship(url, stream) {
  const response = await fetch(`${url}/holdfast/ship?stream=${stream}`, { signal: AbortSignal.timeout(60_000) })
  const body = await response.text()
  const answer = response.status === 200 ? JSON.parse(body) : undefined
  if (typeof answer?.shipped !== 'number') throw new Error(`${stream}: the flow answered ${response.status}: ${body}`)
  return answer
}

/** act suspends or reactivates the person, with the Users API. */
async function act({ baseUrl, account, clientId, clientSecret, user }, verb) {
  const token = await fetch(`${baseUrl}/v1/oauth/token`, {
    method: 'POST',
    headers: { Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  const { access_token: bearer } = await token.json()
  const done = await fetch(`${baseUrl}/v1/accounts/${account}/users/${user}:${verb}`, { method: 'POST', headers: { Authorization: `Bearer ${bearer}` } })
  expect(`${verb}: status`, done.status, 200)
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}
