/* Opens pages of the site and counts what they ask of other hosts. Arguments: playwright-core's folder, Chromium, a JSON file
   {pages: [url]}. Prints for each page the requests, and what of it is mathematics. */
const fs = require("fs");
const [, , playwright, executablePath, file] = process.argv;
const { chromium } = require(playwright);
const { pages } = JSON.parse(fs.readFileSync(file, "utf8"));

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  const answer = {};
  for (const url of pages) {
    const page = await browser.newPage();
    const [asked, elsewhere] = [[], []];
    page.on("request", (request) => (request.url().startsWith("file:") || request.url().startsWith("data:") ? asked : elsewhere).push(request.url()));
    await page.goto(url);
    await page.waitForTimeout(300);
    const equations = await page.evaluate(() => ({
      shown: [...document.querySelectorAll("math")].filter((each) => each.getBoundingClientRect().width > 3).length,
      all: document.querySelectorAll("math").length,
      raw: [...document.querySelectorAll("p, div.math")].filter((each) => /\\(frac|sum|odot|tag)\b/.test(each.innerText)).length,
      images: [...document.images].filter((each) => !each.naturalWidth).map((each) => each.src),
    }));
    answer[url] = { asked: asked.length, elsewhere, ...equations };
    await page.close();
  }
  await browser.close();
  process.stdout.write(JSON.stringify(answer));
})();
