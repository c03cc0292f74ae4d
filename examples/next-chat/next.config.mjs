export default {
  // A native addon cannot be bundled.
  serverExternalPackages: ['sluice'],
};
