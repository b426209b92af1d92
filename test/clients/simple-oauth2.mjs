// simple-oauth2: both ways of client authentication, both encodings of Basic, both generations of URLs.

import { ClientCredentials } from 'simple-oauth2'
import { expect } from './lib/contract.mjs'
import { denied, exercise } from './lib/exercise.mjs'
import { generations, main } from './lib/settings.mjs'

const variants = [
  { authorizationMethod: 'header', credentialsEncodingMode: 'strict' }, // the default: RFC 6749 §2.3.1
  { authorizationMethod: 'header', credentialsEncodingMode: 'loose' }, // RFC 7617, nothing encoded
  { authorizationMethod: 'body' },
]

await main('simple-oauth2', async (s, ok) => {
  for (const generation of generations) {
    for (const options of variants) {
      const done = (step) => ok(`${generation.name}, ${Object.values(options).join(' ')}: ${step}`)
      const token = await connect(s, generation, options).getToken({})
      expect('token_type', token.token.token_type, 'Bearer')
      expect('expires_in', token.token.expires_in, 900)
      expect('expired', token.expired(), false)
      done('token issued')

      const call = caller(token.token, s)
      await exercise(call, generation, s, done)
      await token.revoke('access_token')
      await denied(call, generation, s, done)
    }
    await connect(s, generation, {}).getToken({ scope: 'openid' })
    ok(`${generation.name}: scope openid accepted`)
    await refused(connect(s, generation, {}).getToken({ scope: ['list_users', 'get_user'] }), 400, 'invalid_scope')
    await refused(connect({ ...s, clientSecret: `${s.clientSecret}x` }, generation, {}).getToken({}), 401, 'invalid_client')
    ok(`${generation.name}: unknown scope and wrong secret refused`)
  }
})

function connect(s, generation, options) {
  return new ClientCredentials({
    client: { id: s.clientId, secret: s.clientSecret },
    auth: { tokenHost: s.baseUrl, tokenPath: `${generation.oauth}/token`, revokePath: `${generation.oauth}/revoke` },
    options,
  })
}

// The library is about tokens only; requests are fetch's, with the header put together from the answer.
function caller({ token_type, access_token }, s) {
  return async (method, path) => {
    const response = await fetch(s.baseUrl + path, { method, headers: { Authorization: `${token_type} ${access_token}` } })
    return { status: response.status, body: await response.json() }
  }
}

async function refused(request, status, error) {
  const err = await request.then(() => undefined, (e) => e)
  expect(`${error}: status`, err?.output?.statusCode, status)
  expect(`${error}: error`, err?.data?.payload?.error, error)
}
