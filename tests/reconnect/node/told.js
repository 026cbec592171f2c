/** What every follower here is given, and how it says what it was told: one event a line. */

export const [url, key, executionId] = process.argv.slice(2);
export const path = executionId ? `/human-input/${executionId}` : "/human-input";
export const told = (event) => console.log(JSON.stringify(event));
