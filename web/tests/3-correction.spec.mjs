import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { after, before, test } from 'node:test'
import { config, jobId, launch, openPage, openScan, withScreenshot, scanName } from './browser.mjs'
import { canvasPixels, colouredPixels, eventually } from './pixels.mjs'

let browser
let session
let id = ''

before(async () => {
  browser = await launch()
  session = await openPage(browser)
  id = await jobId(session.page, scanName(basename(config.phantom)))
  assert.ok(id, 'the scan that the reading tests upload is missing')
})
after(async () => {
  await browser?.close()
})

async function drag(page, by) {
  const box = await page.getByTestId('canvas').boundingBox()
  const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
  await page.mouse.move(x, y)
  await page.mouse.down()
  await page.mouse.move(x + by, y + by / 2, { steps: 6 })
  await page.mouse.up()
}

test('a_correction_is_painted_undone_saved_and_shown_after_a_reload', async () => {
  const { page } = session
  await withScreenshot(page, 'correction', async () => {
    await openScan(page, id)
    await page.getByTestId('view-axial').click()
    await page.getByTestId('correct').click()
    await page.getByTestId('paint').waitFor({ timeout: 180_000 })
    const before = await eventually(async () => colouredPixels(await canvasPixels(page)), (n) => n > 50, 'the lesions')
    await page.getByTestId('brush-size').selectOption('30')
    await drag(page, 90)
    const painted = await eventually(async () => colouredPixels(await canvasPixels(page)), (n) => n > before + 200, 'paint')
    await page.getByTestId('undo').click()
    await eventually(async () => colouredPixels(await canvasPixels(page)), (n) => n < (before + painted) / 2, 'the undone stroke')
    await page.getByTestId('redo').click()
    await page.getByTestId('erase').click()
    await drag(page, 40)
    await eventually(async () => colouredPixels(await canvasPixels(page)), (n) => n < painted, 'erased pixels')
    await page.getByTestId('threshold').click()
    await drag(page, -60)
    await page.getByTestId('reviewer').fill('Dr. Example')
    await page.getByTestId('reason').selectOption('missed lesion')
    await page.getByTestId('save').click()
    const row = page.locator('[data-testid="version-row"][data-version="1"]')
    await row.waitFor({ timeout: 180_000 })
    await openScan(page, id)
    await row.waitFor()
    assert.match(await row.innerText(), /Dr\. Example/)
    assert.match(await row.innerText(), /missed lesion/)
    await eventually(() => page.getByTestId('summary-source').innerText(), (text) => text.includes('version 1'), 'the numbers of the version')
  })
})

test('the_corrected_map_is_exported_and_differs_from_that_of_the_model', async () => {
  const { page } = session
  const get = async (path) => {
    const answer = await page.request.get(`${config.origin}/api/v1/jobs/${id}/${path}`)
    assert.equal(answer.status(), 200, path)
    return await answer.body()
  }
  const model = await get('files/lesions.nii.gz')
  const corrected = await get('corrections/1/lesions.nii.gz')
  assert.notDeepEqual(corrected, model)
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.locator('[data-testid="version-row"][data-version="1"]').getByRole('link', { name: 'lesions.nii.gz' }).click()
  ])
  assert.match(download.suggestedFilename(), /\.nii\.gz$/)
})

test('the_version_of_the_model_can_be_shown_again', async () => {
  const { page } = session
  await withScreenshot(page, 'versions', async () => {
    await page.locator('[data-testid="version-row"][data-version="0"] button').click()
    await eventually(() => page.getByTestId('summary-source').innerText(), (text) => text.includes('model'), 'the numbers of the model')
  })
})

test('unsaved_changes_are_guarded', async () => {
  const { page } = session
  await withScreenshot(page, 'guard', async () => {
    await page.getByTestId('correct').click()
    await page.getByTestId('paint').waitFor({ timeout: 180_000 })
    await page.getByTestId('class-select').selectOption({ index: 1 })
    await page.getByRole('link', { name: 'Models' }).click()
    await page.getByTestId('confirm-dialog').waitFor()
    await page.getByTestId('dialog-no').click()
    assert.match(page.url(), /\/scan\//)
    await page.getByTestId('discard').click()
    await page.getByTestId('dialog-yes').click()
    await page.getByTestId('correct').waitFor()
  })
})

test('a_result_is_confirmed_and_the_corrections_page_counts_it', async () => {
  const { page } = session
  await withScreenshot(page, 'confirm', async () => {
    await page.getByTestId('confirm').click()
    const row = page.locator('[data-testid="version-row"][data-version="2"]')
    await row.waitFor()
    assert.match(await row.innerText(), /Confirmed/)
    await page.goto(`${config.origin}/corrections`)
    await page.getByRole('table', { name: 'Latest reviews' }).getByText('missed lesion').first().waitFor()
  })
})

test('the_page_did_nothing_that_it_must_not_do', () => {
  assert.deepEqual(session.faults, [])
})
