// openid-client: RFC 8414 discovery, then both ways of client authentication, introspection, revocation.

import * as client from 'openid-client'
import { expect } from './lib/contract.mjs'
import { denied, exercise } from './lib/exercise.mjs'
import { generations, main } from './lib/settings.mjs'

const methods = { client_secret_basic: client.ClientSecretBasic, client_secret_post: client.ClientSecretPost }

await main('openid-client', async (s, ok) => {
  for (const [method, authentication] of Object.entries(methods)) {
    const done = (step) => ok(`${method}: ${step}`)
    const config = await discover(s, authentication(s.clientSecret))
    const supported = config.serverMetadata().token_endpoint_auth_methods_supported
    expect(`metadata lists ${method}`, supported.includes(method), true)
    done('metadata found')

    const token = await client.clientCredentialsGrant(config, { scope: 'openid' })
    expect('token_type', token.token_type, 'bearer') // the library folds the case
    expect('expires_in', token.expires_in, 900)
    expect('scope', token.scope, 'openid')
    done('token issued')

    const state = await client.tokenIntrospection(config, token.access_token)
    expect('introspection: active', state.active, true)
    expect('introspection: client_id', state.client_id, s.clientId)
    done('token introspected')

    const call = caller(config, token.access_token, s)
    for (const generation of generations) {
      await exercise(call, generation, s, (step) => done(`${generation.name}: ${step}`))
    }

    await client.tokenRevocation(config, token.access_token)
    const gone = await client.tokenIntrospection(config, token.access_token)
    expect('introspection after revocation: active', gone.active, false)
    await denied(call, generations[0], s, done)
  }

  const wrong = await discover(s, client.ClientSecretBasic(`${s.clientSecret}x`))
  const refusal = await client.clientCredentialsGrant(wrong).then(() => undefined, (err) => err)
  if (!(refusal instanceof client.WWWAuthenticateChallengeError)) throw new Error('wrong secret: no challenge', { cause: refusal })
  expect('wrong secret: status', refusal.status, 401)
  expect('wrong secret: scheme', refusal.cause[0].scheme, 'basic')
  expect('wrong secret: error', (await refusal.response.json()).error, 'invalid_client')
  ok('wrong secret refused')
})

// The issuer is the server's base URL; plain http is for the loopback only.
function discover(s, authentication) {
  const execute = s.baseUrl.startsWith('http://') ? [client.allowInsecureRequests] : []
  return client.discovery(new URL(s.baseUrl), s.clientId, undefined, authentication, { algorithm: 'oauth2', execute })
}

function caller(config, token, s) {
  return async (method, path) => {
    try {
      const response = await client.fetchProtectedResource(config, token, new URL(s.baseUrl + path), method)
      return { status: response.status, body: await response.json() }
    } catch (err) {
      // The library throws when a WWW-Authenticate challenge comes back, and hands over the answer.
      if (err instanceof client.WWWAuthenticateChallengeError) {
        expect('challenge: scheme', err.cause[0].scheme, 'bearer')
        expect('challenge: error', err.cause[0].parameters.error, 'invalid_token')
        return { status: err.status, body: await err.response.json() }
      }
      throw err
    }
  }
}
