// The linter's rules for the page's script: eslint's recommended ones and a few more.
import js from "@eslint/js";

const names = ["document", "window", "location", "history", "navigator", "URLSearchParams"];

export default [
  js.configs.recommended,
  {
    files: ["**/*.js"],
    languageOptions: {
      sourceType: "script",
      ecmaVersion: 2022,
      globals: { ...Object.fromEntries(names.map((name) => [name, "readonly"])), module: "writable" },
    },
    rules: {
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "no-new-func": "error",
      "no-redeclare": ["error", { builtinGlobals: false }],
      "no-var": "error",
      "prefer-const": "error",
    },
  },
];
