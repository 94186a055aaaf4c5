// SPDX-License-Identifier: Apache-2.0
// Words for what a request lacks. A provider would say 400 to each of these.

export class Checks {
    constructor() { this.found = []; }
    that(isRight, what) { if (!isRight) this.found.push(what); return isRight; }
    string(value, what) { return this.that(typeof value === 'string', `${what}: expected a string`); }
    object(value, what) {
        return this.that(value !== null && typeof value === 'object' && !Array.isArray(value),
            `${what}: expected an object`);
    }
    list(value, what) { return this.that(Array.isArray(value), `${what}: expected a list`); }
    /** Only these keys: a provider refuses fields of other dialects. */
    keys(value, allowed, what) {
        for (const key of Object.keys(value ?? {}))
            this.that(allowed.includes(key), `${what}.${key}: unknown field`);
    }
    json(value, what) {
        try { return JSON.parse(value); } catch { this.found.push(`${what}: expected JSON`); return undefined; }
    }
}
