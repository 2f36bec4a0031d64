/** Loaded before a process' own code: SIGUSR2 blocks its event loop for ever, as an endless loop of ours would. */
process.on('SIGUSR2', () => {
  for (;;);
});
