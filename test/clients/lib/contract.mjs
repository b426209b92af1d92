// What the Users API must answer, whoever asks. A client hands in what it received; the checks throw.

/** The size of page that makes a small account have several. */
export const smallPage = 7

const fields = ['create_time', 'display_name', 'email', 'id', 'path', 'state']

/** expect throws unless got and want are the same value. */
export function expect(what, got, want) {
  if (got !== want) {
    throw new Error(`${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`)
  }
}

/** checkUser: status 200, and one person in the closed schema of the contract. */
export function checkUser(what, { status, body }, { account, user, state }) {
  expectStatus(what, { status, body }, 200)
  checkPerson(what, body, account)
  expect(`${what}: id`, body.id, user)
  expect(`${what}: state`, body.state, state)
}

/** checkPage: status 200, between 1 and size people, a full page if there is a next one. */
export function checkPage(what, { status, body }, { account, size }) {
  expectStatus(what, { status, body }, 200)
  const unknown = Object.keys(body).filter((key) => key !== 'results' && key !== 'next_page_token')
  expect(`${what}: members that the contract does not know`, unknown.join(), '')
  if (!Array.isArray(body.results) || body.results.length < 1 || body.results.length > size) {
    throw new Error(`${what}: results: got ${body.results?.length ?? typeof body.results} people, want 1 to ${size}`)
  }
  for (const person of body.results) checkPerson(what, person, account)
  if (body.next_page_token !== undefined) {
    expect(`${what}: people on a page that is not the last`, body.results.length, size)
    expect(`${what}: type of next_page_token`, typeof body.next_page_token, 'string')
  }
}

/** checkAll: several pages, nobody twice, and the person that we are about to suspend is among them. */
export function checkAll(what, pages, { user }) {
  const ids = pages.flatMap((page) => page.results.map((person) => person.id))
  if (pages.length < 2) {
    throw new Error(`${what}: got one page of ${ids.length} people, want at least two: the account needs more than ${smallPage} people`)
  }
  expect(`${what}: different people`, new Set(ids).size, ids.length)
  expect(`${what}: ${user} is listed`, ids.includes(user), true)
}

/** checkError: a google.rpc.Status with the code, under the HTTP status. */
export function checkError(what, { status, body }, { status: wantStatus, code }) {
  expectStatus(what, { status, body }, wantStatus)
  expect(`${what}: code`, body?.code, code)
  expect(`${what}: type of message`, typeof body?.message, 'string')
  expect(`${what}: details is a list`, Array.isArray(body?.details), true)
}

function checkPerson(what, person, account) {
  expect(`${what}: fields of a person`, Object.keys(person).sort().join(), fields.join())
  for (const field of fields) expect(`${what}: type of ${field}`, typeof person[field], 'string')
  if (person.state !== 'ACTIVE' && person.state !== 'SUSPENDED') {
    throw new Error(`${what}: state: got ${JSON.stringify(person.state)}, want ACTIVE or SUSPENDED`)
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(person.create_time)) {
    throw new Error(`${what}: create_time: got ${JSON.stringify(person.create_time)}, want RFC 3339 in UTC`)
  }
  expect(`${what}: path`, person.path, `accounts/${account}/users/${person.id}`)
}

function expectStatus(what, { status, body }, want) {
  if (status !== want) {
    throw new Error(`${what}: got status ${status} ${JSON.stringify(body) ?? ''}, want ${want}`)
  }
}
