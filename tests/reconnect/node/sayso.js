/** Our own client. */

import { Sayso } from "../../../clients/js/src/index.js";
import { executionId, key, told, url } from "./told.js";

for await (const event of new Sayso({ url, apiKey: key }).follow({ executionId })) told(event);
