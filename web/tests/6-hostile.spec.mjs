import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { after, before, test } from 'node:test'
import { config, jobId, launch, openPage, openScan, readBytes, scanName, withScreenshot } from './browser.mjs'
import { eventually } from './pixels.mjs'

// Each of these does something if a page takes it for more than text.
const HOSTILE = [
  '<img src="x" onerror="window.wasRun = 1">',
  '"><script>window.wasRun = 1</script>',
  '</title></textarea><svg onload="window.wasRun = 1">',
  "' autofocus onfocus='window.wasRun = 1",
  'javascript:window.wasRun=1',
  '{{constructor.constructor("window.wasRun = 1")()}}',
  '\u001b]0;title\u0007\u001b[2J',
  '\u202egnp.nacs'
].join(' ')
// Texts that people, files and models choose.
const FIELDS = new Set([
  'name', 'patient', 'description', 'warnings', 'reason', 'hint', 'reviewer', 'model', 'trained_on', 'license',
  'intended_use', 'limitations', 'summary', 'title', 'notes', 'source', 'user', 'path', 'text', 'error'
])

let browser

before(async () => {
  browser = await launch()
})
after(async () => {
  await browser?.close()
})

/** The same JSON with hostile texts. */
function poisoned(value, key = '') {
  if (Array.isArray(value)) return value.map((v) => poisoned(v, key))
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, poisoned(v, k)]))
  }
  return typeof value === 'string' && FIELDS.has(key) ? `${value} ${HOSTILE}` : value
}

/** What a page must not have, wherever its texts come from. */
async function expectText(page, faults, dialogs, place) {
  assert.equal(await page.evaluate(() => window.wasRun), undefined, place)
  const injected = await page.evaluate(() => {
    const odd = 'img[src="x"], svg[onload], [onerror], [onfocus], [onload], script:not([src]), a[href^="javascript:"]'
    return [...document.querySelectorAll(odd)].map((e) => e.outerHTML.slice(0, 200))
  })
  assert.deepEqual(injected, [], place)
  assert.deepEqual(dialogs, [], place)
  assert.deepEqual(faults, [], place)
}

test('a_hostile_file_name_and_a_hostile_review_are_text', async () => {
  const { page, faults } = await openPage(browser)
  const dialogs = []
  page.on('dialog', async (dialog) => {
    dialogs.push(dialog.message())
    await dialog.dismiss()
  })
  await withScreenshot(page, 'hostile-file', async () => {
    const mark = `h${Date.now()}`
    const name = `${mark}<img src="x" onerror="window.wasRun = 1"><script>window.wasRun = 1<`
    const buffer = readBytes(config.phantom)
    await page.getByTestId('upload-input').setInputFiles({ name: `${name}.nii.gz`, mimeType: 'application/octet-stream', buffer })
    const row = page.getByTestId('job-row').filter({ hasText: mark })
    await eventually(() => row.getAttribute('data-state'), (state) => state === 'done', 'the scan is done', 600_000)
    assert.ok((await row.innerText()).includes('<img src="x"'))
    const id = await row.getAttribute('data-job-id')
    const saved = await page.request.post(`${config.origin}/api/v1/jobs/${id}/corrections`, {
      data: { reviewer: '<img src="x" onerror="window.wasRun = 1">', reason: '"><script>window.wasRun = 1</script>', verdict: 'confirmed' }
    })
    assert.equal(saved.status(), 201)
    await expectText(page, faults, dialogs, 'work list')
    await openScan(page, id)
    await page.locator('[data-testid="version-row"][data-version="1"]').waitFor()
    await expectText(page, faults, dialogs, 'reading page')
    await page.goto(`${config.origin}/corrections`)
    await page.getByText('onerror="window.wasRun = 1"').first().waitFor()
    await expectText(page, faults, dialogs, 'corrections')
    // The report is a page of its own. Its policy lets no script run, whatever stands in it.
    await page.goto(`${config.origin}/api/v1/jobs/${id}/files/report.html`)
    await expectText(page, faults, dialogs, 'report')
    assert.ok((await page.locator('body').innerText()).includes('<img src="x"'))
  })
  await page.context().close()
})

// By now there is a review, whose texts the page of corrections shows.
test('hostile_texts_of_the_server_are_text_on_every_page', async () => {
  const { page, faults } = await openPage(browser)
  const dialogs = []
  page.on('dialog', async (dialog) => {
    dialogs.push(dialog.message())
    await dialog.dismiss()
  })
  await withScreenshot(page, 'hostile', async () => {
    const id = await jobId(page, scanName(basename(config.phantom)))
    assert.ok(id, 'a scan that is done')
    let count = 0
    await page.route('**/api/**', async (route) => {
      const url = new URL(route.request().url())
      const isJson = !/\/(events|ct\.nii|files|thumbnail)/.test(url.pathname) && route.request().method() === 'GET'
      if (!isJson) return route.fallback()
      const answer = await route.fetch()
      if (!answer.headers()['content-type']?.startsWith('application/json')) return route.fulfill({ response: answer })
      count += 1
      return route.fulfill({ response: answer, json: poisoned(await answer.json()) })
    })
    for (const [path, ready] of [
      ['/', '[data-testid="job-row"]'],
      ['/corrections', '.cards'],
      ['/models', 'article.model'],
      ['/api/docs', '.operation']
    ]) {
      await page.goto(config.origin + path)
      await page.locator(ready).first().waitFor()
      await page.getByText('window.wasRun = 1').first().waitFor({ state: 'attached' })
      await expectText(page, faults, dialogs, path)
    }
    await openScan(page, id)
    await page.getByText('window.wasRun = 1').first().waitFor({ state: 'attached' })
    await expectText(page, faults, dialogs, 'reading page')
    assert.ok(count > 5, `${count} answers were changed`)
  })
  await page.context().close()
})
