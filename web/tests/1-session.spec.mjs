import assert from 'node:assert/strict'
import { test } from 'node:test'
import { config } from './browser.mjs'

test('a_wrong_token_and_a_missing_session_are_refused', async () => {
  const wrong = new URL(config.link)
  wrong.searchParams.set('token', 'wrong')
  assert.equal((await fetch(wrong, { redirect: 'manual' })).status, 401)
  assert.equal((await fetch(`${config.origin}/`, { redirect: 'manual' })).status, 401)
  const answer = await fetch(`${config.origin}/api/v1/jobs`)
  assert.equal(answer.status, 401)
  assert.ok((await answer.json()).error.reason)
  assert.equal((await fetch(`${config.origin}/api/v1/health`)).status, 200)
})
