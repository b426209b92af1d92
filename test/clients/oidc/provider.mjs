// An OpenID provider to sign in with, for the browser tests: oidc-provider, unmodified, with the
// smallest login that there can be.
//
//   CLIENT_ID=… CLIENT_SECRET=… REDIRECT_URI=… CONTROL=… node oidc/provider.mjs
//
// listens on PORT (a free one without it), prints its issuer as the first line, and ends when its
// standard input does. The page for signing in has the fields Account and, of no weight, Password;
// whoever is named is let in, with consent.
//
// PUT /control with the header "Authorization: Bearer $CONTROL" makes it misbehave from then on, or
// behave again with {}:
//
//   claims   members that replace those of the ID token, signed; null takes one away
//   forge    true: the ID token is signed by a key that the provider does not publish
//   userinfo members that replace those of the userinfo answer
//   deny     true: whoever signs in is sent back with access_denied
//   redirect the redirect URI from then on, in place of REDIRECT_URI

import { createHash, createPrivateKey, generateKeyPairSync, randomUUID, sign, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'

import Provider from 'oidc-provider'

const { CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, CONTROL, PORT = '0' } = process.env
for (const [name, value] of Object.entries({ CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, CONTROL })) {
  if (!value) {
    console.error(`the variable ${name} is not set`)
    process.exit(2)
  }
}

let misbehaviour = {}
let redirect

const newKey = kid => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  kid, alg: 'ES256', use: 'sig',
})
const key = newKey('published')
const strangersKey = newKey('published') // the same name, another key

// claimsOf is what the provider knows of an account, which is named by an e-mail address or a word.
const claimsOf = account => ({
  sub: 'p-' + createHash('sha256').update(account).digest('hex').slice(0, 24),
  email: account.includes('@') ? account : `${account}@example.org`,
  email_verified: true,
  name: account.split('@')[0],
})

// The issuer is known once the port is; requests come after that.
let handle
const server = createServer((req, res) => handle(req, res))
server.listen(Number(PORT), '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  handle = handler(issuer)
  console.log(issuer)
})
process.stdin.resume().on('end', () => process.exit(0))

function handler(issuer) {
  const accounts = new Map() // by sub
  const provider = new Provider(issuer, {
    clients: [{
      client_id: CLIENT_ID, client_secret: CLIENT_SECRET, redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code'], response_types: ['code'], id_token_signed_response_alg: 'ES256',
    }],
    jwks: { keys: [key] },
    cookies: { keys: [randomUUID()] },
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false, // claims of the scopes are in the ID token too, as most providers do it
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    interactions: { url: (ctx, interaction) => `/login/${interaction.uid}` },
    findAccount: (ctx, sub) => accounts.has(sub) && { accountId: sub, claims: () => accounts.get(sub) },
    // Nobody is asked for consent: it is an employer's provider.
    loadExistingGrant: async ctx => {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId })
      grant.addOIDCScope('openid email profile')
      await grant.save()
      return grant
    },
  })
  provider.Client.prototype.redirectUriAllowed = uri => uri === (redirect ?? REDIRECT_URI)
  provider.use(async (ctx, next) => {
    await next()
    if (ctx.path === '/token' && ctx.body?.id_token) ctx.body.id_token = changed(ctx.body.id_token)
    if (ctx.path === '/me' && ctx.status === 200 && misbehaviour.userinfo) ctx.body = { ...ctx.body, ...misbehaviour.userinfo }
  })

  const rest = provider.callback()
  return async (req, res) => {
    try {
      const { pathname } = new URL(req.url, issuer)
      if (pathname === '/control') return await control(req, res)
      if (!pathname.startsWith('/login/')) return rest(req, res)
      if (req.method !== 'POST') return page(res)
      const account = new URLSearchParams(await body(req)).get('login')?.trim()
      if (!account) return page(res)
      if (misbehaviour.deny) return await provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'not you' })
      const claims = claimsOf(account)
      accounts.set(claims.sub, claims)
      await provider.interactionFinished(req, res, { login: { accountId: claims.sub } })
    } catch (err) {
      res.writeHead(500, { 'content-type': 'text/plain' }).end(String(err))
    }
  }
}

// changed is the ID token with what the misbehaviour makes of it.
function changed(token) {
  const { claims, forge } = misbehaviour
  if (!claims && !forge) return token
  const payload = { ...JSON.parse(Buffer.from(token.split('.')[1], 'base64url')), ...claims }
  for (const [name, value] of Object.entries(payload)) if (value === null) delete payload[name]
  const by = forge ? strangersKey : key
  const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg: 'ES256', kid: by.kid })}.${encode(payload)}`
  const signature = sign('sha256', Buffer.from(signed), { key: createPrivateKey({ key: by, format: 'jwk' }), dsaEncoding: 'ieee-p1363' })
  return `${signed}.${signature.toString('base64url')}`
}

async function control(req, res) {
  const digest = s => createHash('sha256').update(s).digest()
  if (req.method !== 'PUT' || !timingSafeEqual(digest(req.headers.authorization ?? ''), digest(`Bearer ${CONTROL}`))) {
    return res.writeHead(403).end()
  }
  const { redirect: to, ...rest } = JSON.parse(await body(req))
  redirect = to ?? redirect
  misbehaviour = rest
  res.writeHead(204).end()
}

async function body(req) {
  const parts = []
  for await (const part of req) parts.push(part)
  return Buffer.concat(parts).toString()
}

function page(res) {
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' }).end(`<!doctype html>
<html lang="en"><head><title>Provider</title></head><body><main><h1>Sign in at the provider</h1>
<form method="post"><label>Account <input name="login" autofocus required></label>
<label>Password <input type="password" name="password"></label> <button>Continue</button></form></main></body></html>`)
}
