import assert from 'node:assert/strict'
import { exec } from 'node:child_process'
import { after, before, test } from 'node:test'
import { config, launch, openPage, withScreenshot } from './browser.mjs'
import { eventually } from './pixels.mjs'

let browser

before(async () => {
  browser = await launch()
})
after(async () => {
  await browser?.close()
})

test('an_open_page_tells_of_a_restart_and_recovers', { skip: config.restart === '' && 'RESTART is not set' }, async () => {
  const { page, tolerate } = await openPage(browser)
  await withScreenshot(page, 'restart', async () => {
    await page.getByTestId('job-row').first().waitFor()
    await tolerate(async () => {
      const isRestarted = new Promise((resolve, reject) => exec(config.restart, (error) => (error ? reject(error) : resolve())))
      await page.getByTestId('connection').getByText('Connection lost').waitFor()
      await isRestarted
      await eventually(() => page.getByTestId('connection').innerText(), (text) => text === '', 'the connection', 120_000)
    })
    await page.getByTestId('job-row').first().waitFor()
    assert.ok((await page.getByTestId('job-row').count()) > 0)
  })
})
