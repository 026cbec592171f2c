declare module "*.css" {
  const text: string;
  export default text;
}
declare var SAYSO_WORKER: string | undefined;
