// The calls of a security platform: list, suspend, get, reactivate, get. How a request is sent and
// authorised is the client's business.

import { checkAll, checkError, checkPage, checkUser, smallPage } from './contract.mjs'

/**
 * exercise makes the calls and checks every answer.
 *
 * call(method, path) sends an authorised request and resolves to { status, body }, body being parsed JSON.
 */
export async function exercise(call, { users }, { account, user }, ok) {
  const people = `${users}/accounts/${account}/users`
  const one = `${people}/${user}`
  const get = (path) => call('GET', path)
  const post = (path) => call('POST', path)

  checkPage('list', await get(people), { account, size: 25 })
  const pages = await listAll(get, people, account)
  checkAll('list page by page', pages, { user })
  ok(`${pages.flatMap((p) => p.results).length} people on ${pages.length} pages`)

  checkUser('suspend', await post(`${one}:suspend`), { account, user, state: 'SUSPENDED' })
  checkUser('get after suspend', await get(one), { account, user, state: 'SUSPENDED' })
  checkUser('suspend again', await post(`${one}:suspend`), { account, user, state: 'SUSPENDED' })
  const suspended = await get(`${people}?filter=${encodeURIComponent('user.isSuspended()')}&max_page_size=1000`)
  checkPage('list the suspended', suspended, { account, size: 1000 })
  if (!suspended.body.results.some((person) => person.id === user)) {
    throw new Error(`list the suspended: ${user} is not among them`)
  }
  ok(`suspended`)

  checkUser('reactivate', await post(`${one}%3Areactivate`), { account, user, state: 'ACTIVE' })
  checkUser('get after reactivate', await get(one), { account, user, state: 'ACTIVE' })
  checkError('unknown filter', await get(`${people}?filter=user.isAsleep()`), { status: 400, code: 3 })
  ok(`reactivated`)
}

async function listAll(get, people, account) {
  const pages = []
  for (let token = ''; pages.length < 1000; ) {
    const query = new URLSearchParams({ max_page_size: smallPage, ...(token && { page_token: token }) })
    const answer = await get(`${people}?${query}`)
    checkPage(`list, page ${pages.length + 1}`, answer, { account, size: smallPage })
    pages.push(answer.body)
    token = answer.body.next_page_token
    if (token === undefined) return pages
  }
  throw new Error('list page by page: no end after 1000 pages')
}

/** denied checks that a token is worth nothing any more. */
export async function denied(call, { users }, { account, user }, ok) {
  checkError('get with a revoked token', await call('GET', `${users}/accounts/${account}/users/${user}`), { status: 401, code: 16 })
  ok(`revoked token refused`)
}
