// Measures the time from the click on a scan in the work list to its first picture:
//   MULTIRNET_URL='http://127.0.0.1:8042/?token=…' node first-picture.mjs NAME [ROUNDS]
// NAME is that of a scan on the first page of the list; with '' only the list is measured.
// Prints each round and the median, and the time until the work list shows its first row: in an empty
// browser, and in one that has the viewer's files already.
import { chromium } from 'playwright-core'

const [scanName = '', rounds = '5'] = process.argv.slice(2)
const link = process.env.MULTIRNET_URL
if (!link) throw new Error('the environment variable MULTIRNET_URL is not set (give the link that the server printed)')

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist']
})
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const pictures = []
const lists = []
const warmLists = []
for (let round = 1; round <= Number(rounds); round += 1) {
  // Every round begins with an empty browser.
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  context.setDefaultTimeout(120_000)
  const page = await context.newPage()
  await page.goto(link)
  await page.getByTestId('job-row').first().waitFor()
  const shown = () => page.evaluate(() => performance.now())
  const list = await shown()
  await page.goto(new URL(link).origin)
  await page.getByTestId('job-row').first().waitFor()
  const warmList = await shown()
  lists.push(list)
  warmLists.push(warmList)
  if (scanName === '') {
    console.log(`round ${round}: list after ${list.toFixed(0)} ms and ${warmList.toFixed(0)} ms`)
    await context.close()
    continue
  }
  const row = page.getByTestId('job-row').filter({ hasText: scanName }).first().getByRole('link').first()
  // A person reads the list before the click.
  await page.waitForTimeout(3000)
  await page.evaluate(() => document.addEventListener('click', () => performance.mark('click'), { capture: true, once: true }))
  await row.click()
  await page.waitForFunction(() => document.documentElement.dataset.firstPicture === '1')
  const picture = await page.evaluate(() => {
    const time = (name) => performance.getEntriesByName(name).at(-1).startTime
    return time('first-picture') - time('click')
  })
  console.log(`round ${round}: list after ${list.toFixed(0)} ms and ${warmList.toFixed(0)} ms, first picture ${picture.toFixed(0)} ms after the click`)
  pictures.push(picture)
  await context.close()
}
const picture = pictures.length > 0 ? `, first picture ${median(pictures).toFixed(0)} ms` : ''
console.log(`median of ${rounds}: list ${median(lists).toFixed(0)} ms and ${median(warmLists).toFixed(0)} ms${picture}`)
await browser.close()
