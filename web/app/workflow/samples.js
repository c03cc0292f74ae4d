/** Sample workflows. */

/** @type {{name: string, workflow: object}[]} */
export const samples = [
  {
    name: 'Three views, one answer',
    workflow: {
      nodes: [
        { id: 'question', prompt: 'Put into one sentence what a sluice is for.', max_tokens: 80 },
        {
          id: 'miller',
          prompt: 'What does a miller say to this? {{question.text}}',
          after: ['question'],
          max_tokens: 80,
        },
        {
          id: 'fish',
          prompt: 'And what does a fish say? {{question.text}}',
          after: ['question'],
          max_tokens: 80,
        },
        {
          id: 'river',
          prompt: 'And the river? {{question.text}}',
          after: ['question'],
          max_tokens: 80,
          on_failure: 'continue',
        },
        {
          id: 'answer',
          prompt: 'Combine:\n{{miller.text}}\n{{fish.text}}\n{{river.text}}',
          after: ['miller', 'fish', 'river'],
          max_tokens: 120,
        },
      ],
      concurrency: 3,
    },
  },
  {
    name: 'A list, then each item',
    workflow: {
      nodes: [
        { id: 'list', prompt: 'Name four rivers, one a line.', max_tokens: 60 },
        {
          id: 'each',
          map: { over: 'list', prompt: 'Say something about {{item}}.' },
          after: ['list'],
          max_tokens: 60,
        },
        {
          id: 'poem',
          prompt: 'Make a poem of this:\n{{each.text}}',
          after: ['each'],
          max_tokens: 120,
          retry: { attempts: 3, base_ms: 500 },
        },
      ],
    },
  },
  {
    name: 'Crawl a site, sum up every page',
    workflow: {
      nodes: [
        { id: 'site', crawl: { start_url: 'https://example.com/', limit: 5, depth: 1 } },
        {
          id: 'pages',
          map: { over: 'site', prompt: 'Sum up "{{item.title}}":\n{{item.text}}' },
          after: ['site'],
          max_tokens: 80,
        },
        {
          id: 'summary',
          prompt: 'Combine these summaries:\n{{pages.text}}',
          after: ['pages'],
          max_tokens: 160,
        },
      ],
    },
  },
];
