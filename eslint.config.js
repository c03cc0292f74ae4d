import js from '@eslint/js';
import globals from 'globals';

export default [
  {
    ignores: [
      'build/',
      'build-*/',
      'prebuilds/',
      'types/',
      'coverage/',
      'web/vendor/',
      '**/.cache/',
      '**/.next/',
      '**/dist/',
    ],
  },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, sourceType: 'module' },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      curly: ['error', 'multi-line'],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-shadow': 'error',
      // Prettier breaks a chain before a computed member.
      'no-unexpected-multiline': 'off',
      'no-throw-literal': 'error',
      'no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['lib/**', 'scripts/**', 'bench/**', 'test/**', '*.js'],
    languageOptions: { globals: globals.node },
  },
  { files: ['web/**'], languageOptions: { globals: globals.browser } },
  {
    files: ['test/browser/**', 'test/integration/**', 'test/soak/**'],
    languageOptions: { globals: globals.browser },
  },
  {
    files: ['examples/**/*.{js,mjs,jsx}'],
    languageOptions: {
      globals: { ...globals.browser, ...globals.node },
      parserOptions: { ecmaFeatures: { jsx: true } },
    },
    // Names in JSX count as unused without a plugin for React.
    rules: { 'no-unused-vars': 'off' },
  },
  { files: ['test/**/*.js'], languageOptions: { globals: globals.jest } },
];
