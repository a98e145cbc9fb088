/* What a student does in the page: the scenes, the exercises by keyboard alone, and in Chinese. Arguments: playwright-core's
   folder, Chromium, a JSON file {url, solutions: exercise -> [[name, formula]]}. Prints JSON. */
const fs = require("fs");
const [, , playwright, executablePath, file] = process.argv;
const { chromium } = require(playwright);
const { url, solutions, shot, neurons } = JSON.parse(fs.readFileSync(file, "utf8"));

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  const answer = { messages: [], scenes: {}, exercises: {} };
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.on("console", (message) => answer.messages.push(message.text()));
  page.on("pageerror", (error) => answer.messages.push(error.message));
  await page.goto(url);

  const gradientsSeen = () => page.$$eval("#chain text.d", (all) => all.filter((each) => /\d/.test(each.textContent)).length);
  for (const name of await page.$$eval("[data-scene]", (all) => all.map((each) => each.dataset.scene))) {
    await page.click(`[data-scene="${name}"]`);
    const asked = { gradients: await gradientsSeen(), hidden: !(await page.isVisible("#matrix")) && !(await page.isVisible("#strip")), told: await page.locator("#scene-result").count() };
    await page.click('[data-answer-of="0"]');
    const result = page.locator("#scene-result");
    const told = { measure: Number(await result.getAttribute("data-measure")), right: Number(await result.getAttribute("data-right")), gradients: await gradientsSeen() };
    await page.click(`[data-answer-of="${told.right}"]`);
    answer.scenes[name] = { asked, told, verdict: await page.innerText("#scene-result"), address: page.url(), bars: await page.$$eval("#strip [data-size]", (all) => all.map((each) => [each.dataset.series, Number(each.dataset.size)])), inputs: await page.$$eval("#numbers input", (all) => all.map((each) => [each.dataset.key, Number(each.value)])) };
    await page.goto(answer.scenes[name].address);
    await page.reload();
    answer.scenes[name].again = await page.innerText("#scene-result");
    await page.goto(url);
    await page.reload();
  }

  /* the keyboard alone: Tab to the exercise's button, Enter; then each line and Enter */
  const tabTo = async (selector) => {
    for (let k = 0; k < 400; k++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    }
    throw new Error(`no way to ${selector} by Tab`);
  };
  for (const [name, lines] of Object.entries(solutions)) {
    await page.goto(url);
    await page.reload();
    await tabTo("#to-exercise");
    await page.keyboard.press("Enter");
    for (const key of ["Shift+Tab", "Shift+Tab", "Shift+Tab"]) await page.keyboard.press(key); /* to the choice of the cell */
    await tabTo(`[data-exercise="${name}"]`);
    await page.keyboard.press("Enter");
    const done = { wrong: [], says: [] };
    await page.click("#hint");
    done.hint = await page.innerText("#hint-text");
    await page.focus(`[data-write="${lines[0][0]}"]`);
    for (const [value, formula, wrong] of lines) {
      const focused = await page.evaluate(() => document.activeElement.dataset.write);
      if (focused !== value) throw new Error(`${focused} has the focus, not ${value}`);
      if (wrong) {
        await page.keyboard.type(wrong);
        await page.keyboard.press("Enter");
        done.wrong.push(await page.innerText(`[data-verdict="${value}"]`));
        done.says.push(await page.innerText("#exercise-says"));
        await page.keyboard.press("Control+A");
      }
      await page.keyboard.type(formula);
      await page.keyboard.press("Enter");
    }
    done.finished = await page.getAttribute("#exercise-says", "data-finished");
    done.trial = await page.innerText("#trial");
    answer.exercises[name] = done;
  }
  if (shot) await (await page.$("#exercise")).screenshot({ path: shot });

  await page.click('[data-lang="zh"]');
  answer.chinese = await page.evaluate(() => ({ lang: document.documentElement.lang, title: document.querySelector("h1").innerText, says: document.querySelector("#exercise-says").innerText, text: [...document.querySelectorAll("h1, h2, p, summary, button, label > span, .hint, legend, #progress")].map((each) => each.innerText).join("\n") }));
  await page.click('[data-lang="en"]');
  answer.english = await page.evaluate(() => document.querySelector("h1").innerText);

  /* the page of npseq neurons: one stop of the Tab key for the whole text, arrows inside, and dark */
  const other = await browser.newPage({ viewport: { width: 800, height: 700 }, colorScheme: "dark" });
  other.on("pageerror", (error) => answer.messages.push(error.message));
  await other.goto(neurons);
  const focused = () => other.evaluate(() => document.activeElement.dataset.t ?? document.activeElement.id);
  const stops = [];
  for (let k = 0; k < 12; k++) {
    await other.keyboard.press("Tab");
    stops.push(await focused());
  }
  await other.focus("#text [tabindex='0']");
  const moves = [];
  for (const key of ["ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "End", "Home", "ArrowLeft", "ArrowRight", "Enter"]) {
    await other.keyboard.press(key);
    moves.push(await focused());
  }
  answer.neurons = { stops, moves, status: await other.innerText("#status"), background: await other.evaluate(() => getComputedStyle(document.body).backgroundColor) };
  await browser.close();
  process.stdout.write(JSON.stringify(answer));
})();
