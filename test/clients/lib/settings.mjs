// Where the server is and who we are, from the environment.

const names = {
  baseUrl: 'BASE_URL', // such as http://127.0.0.1:8080
  account: 'ACCOUNT_ID',
  clientId: 'CLIENT_ID',
  clientSecret: 'CLIENT_SECRET',
  user: 'USER_ID', // whom to suspend and bring back
}

/** The five settings of a client of the Users API; says which are missing, all at once. */
export function settings(env = process.env) {
  return read(names, env)
}

/** The same, with the token of a client of the Events API: the five are what it takes to make something happen. */
export function eventsSettings(env = process.env) {
  return read({ ...names, eventsToken: 'EVENTS_TOKEN' }, env)
}

function read(names, env) {
  const missing = Object.values(names).filter((name) => !env[name])
  if (missing.length > 0) {
    throw new Error(`missing in the environment: ${missing.join(', ')}; take the values from "holdfast demo --json"`)
  }
  const s = Object.fromEntries(Object.entries(names).map(([key, name]) => [key, env[name]]))
  s.baseUrl = s.baseUrl.replace(/\/+$/, '')
  return s
}

/** The two generations of URLs: general availability and public preview. */
export const generations = [
  { name: 'v1', oauth: '/v1/oauth', users: '/v1' },
  { name: 'v1beta1', oauth: '/v1beta1/users/oauth2', users: '/v1beta1' },
]

/** Runs a client's steps; whatever goes wrong ends in one message and exit code 1. */
export async function main(client, run, read = settings) {
  try {
    await run(read(), (step) => console.log(`${client}: ok: ${step}`))
    console.log(`${client}: passed`)
  } catch (err) {
    console.error(`${client}: FAILED: ${describe(err)}`)
    process.exitCode = 1
  }
}

// describe follows the causes, since HTTP libraries hide the interesting one at the end.
function describe(err) {
  const parts = []
  for (let e = err; e; e = e.cause) {
    parts.push(e.message ?? JSON.stringify(e))
    if (e.data?.payload) parts.push(JSON.stringify(e.data.payload)) // what the server said, in simple-oauth2
  }
  return parts.join(': ')
}
