import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import { after, before, test } from 'node:test'
import { config, jobId, launch, openPage, openScan, readBytes, withScreenshot, scanName } from './browser.mjs'

const axe = readBytes(createRequire(import.meta.url).resolve('axe-core/axe.min.js')).toString('utf8')
let browser

before(async () => {
  browser = await launch()
})
after(async () => {
  await browser?.close()
})

async function violations(page) {
  // Playwright evaluates in the page without a script element, which the policy would forbid.
  await page.evaluate(axe)
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
  return result.violations
    .filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`)
}

for (const colorScheme of ['light', 'dark']) {
  test(`no_page_has_a_serious_fault_of_accessibility_in_${colorScheme}`, async () => {
    const { page, faults } = await openPage(browser, { colorScheme })
    await withScreenshot(page, `accessibility-${colorScheme}`, async () => {
      await page.getByTestId('job-row').first().waitFor()
      assert.deepEqual(await violations(page), [], 'work list')
      const id = await jobId(page, scanName(basename(config.phantom)))
      await openScan(page, id)
      assert.deepEqual(await violations(page), [], 'reading page')
      await page.getByTestId('correct').click()
      await page.getByTestId('paint').waitFor({ timeout: 180_000 })
      assert.deepEqual(await violations(page), [], 'correction')
      await page.getByTestId('help').click()
      await page.getByTestId('help-dialog').waitFor()
      assert.deepEqual(await violations(page), [], 'help')
      await page.keyboard.press('Escape')
      for (const [path, ready] of [
        ['/corrections', '.cards'],
        ['/models', 'article.model'],
        ['/api/docs', '.operation']
      ]) {
        await page.goto(config.origin + path)
        await page.locator(ready).first().waitFor()
        assert.deepEqual(await violations(page), [], path)
      }
      assert.deepEqual(faults, [])
    })
    await page.context().close()
  })
}

test('the_switch_between_light_and_dark_is_remembered', async () => {
  const { page } = await openPage(browser, { colorScheme: 'light' })
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme)
  assert.equal(await theme(), 'light')
  await page.getByTestId('theme').click()
  assert.equal(await theme(), 'dark')
  await page.reload()
  assert.equal(await theme(), 'dark')
  await page.context().close()
})

test('the_notices_are_in_sight_on_every_page', async () => {
  const { page } = await openPage(browser)
  const server = await (await page.request.get(`${config.origin}/api/v1/server`)).json()
  for (const path of ['/', '/corrections', '/models', '/api/docs']) {
    await page.goto(config.origin + path)
    assert.equal(await page.getByTestId('notice').innerText(), server.notice)
    if (server.model.validation_notice) {
      await page.getByTestId('validation').getByText(server.model.validation_notice).waitFor()
    }
  }
  await page.context().close()
})
