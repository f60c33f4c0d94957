// SPDX-License-Identifier: MIT
// mqtt.js under node: talk.js JOBS, a list of {name, url, version, options} as JSON. For each of them a client goes through
// its paces; a line for each says what was wrong, or that it was fine.
const mqtt = require("mqtt");

const PATIENCE_MS = Number(process.env.WEIR_TEST_PATIENCE || "10") * 1000;

function soon(what, wait) {
	let timer;
	const late = new Promise((_, no) => timer = setTimeout(() => no(new Error(`${what} did not come`)), PATIENCE_MS));
	return Promise.race([wait, late]).finally(() => clearTimeout(timer));
}

// A client whose messages are taken one after the other.
class Client {
	constructor(job, more) {
		this.got = [];
		this.wanted = null;
		this.c = mqtt.connect(job.url, {protocolVersion: job.version, reconnectPeriod: 0, ...job.options, ...more,
			...(job.version === 3 ? {protocolId: "MQIsdp"} : {})});
		this.c.on("message", (topic, payload, packet) => {
			this.got.push({...packet, topic}); // the packet may have an alias in its place
			if (this.wanted)
				this.wanted();
		});
		this.up = soon("CONNACK", new Promise((yes, no) => {
			this.c.once("connect", yes);
			this.c.once("error", no);
			this.c.once("close", () => no(new Error("closed")));
		}));
	}

	async next(topic, length, about = {}) {
		if (this.got.length === 0)
			await soon(topic, new Promise(yes => this.wanted = yes));
		this.wanted = null;
		const p = this.got.shift();
		for (const [key, value] of Object.entries({topic, length: length, dup: false, ...about})) {
			const is = key === "length" ? p.payload.length : key in p ? p[key] : (p.properties || {})[key];
			if (JSON.stringify(is) !== JSON.stringify(value))
				throw new Error(`${topic}: ${key} is ${JSON.stringify(is)}, not ${JSON.stringify(value)}`);
		}
		return p;
	}

	gone(hard) {
		return soon("the end", new Promise(yes => hard ? (this.c.once("close", yes), this.c.stream.destroy()) : this.c.end(false, yes)));
	}
}

async function sends_to_itself(job) {
	const me = new Client(job, {clientId: `${job.name}-a`});
	await me.up;
	await me.c.subscribeAsync(`${job.name}/#`, {qos: 2});
	for (const qos of [0, 1, 2])
		for (const size of [0, 1, 127, 70000]) {
			await soon("the acknowledgement", me.c.publishAsync(`${job.name}/${qos}`, "x".repeat(size), {qos}));
			await me.next(`${job.name}/${qos}`, size, {qos, retain: false});
		}
	await me.c.unsubscribeAsync(`${job.name}/#`);
	await me.c.publishAsync(`${job.name}/kept`, "12", {qos: 1, retain: true});
	await me.c.subscribeAsync(`${job.name}/+`, {qos: 0});
	await me.next(`${job.name}/kept`, 2, {qos: 0, retain: true});
	await me.c.publishAsync(`${job.name}/kept`, "", {qos: 1, retain: true});
	await me.next(`${job.name}/kept`, 0, {retain: false});
	await me.gone();
}

// What came while it was away is there when it is back, and its will when it is gone for good.
async function comes_back(job) {
	const stays = {clientId: `${job.name}-b`, clean: false, ...(job.version === 5 ? {properties: {sessionExpiryInterval: 60}} : {})};
	const will = {topic: `${job.name}/will`, payload: "gone", qos: 1};
	const first = new Client(job, stays), other = new Client(job, {clientId: `${job.name}-c`});
	const present = (await Promise.all([first.up, other.up]))[0].sessionPresent;
	if (present)
		throw new Error("a session before there was one");
	await first.c.subscribeAsync(`${job.name}/late/+`, {qos: 2});
	await other.c.subscribeAsync(`${job.name}/will`, {qos: 1});
	await first.gone(true);
	for (const n of [1, 2, 3])
		await other.c.publishAsync(`${job.name}/late/${n}`, "x".repeat(n), {qos: 2});
	const back = new Client(job, {...stays, will});
	if ((await back.up).sessionPresent !== (job.version > 3))
		throw new Error("no session where there was one");
	for (const n of [1, 2, 3])
		await back.next(`${job.name}/late/${n}`, n, {qos: 2});
	await back.gone(true);
	await other.next(`${job.name}/will`, 4, {qos: 1});
	await other.gone();
	await (async last => { await last.up; await last.gone(); })(new Client(job, {clientId: stays.clientId, clean: true}));
}

async function uses_what_5_has(job) {
	const properties = {responseTopic: "back", correlationData: Buffer.from([0, 255]), contentType: "text", payloadFormatIndicator: true,
		userProperties: {b: ["2", "1"], a: "0"}, messageExpiryInterval: 100};
	const me = new Client(job, {clientId: `${job.name}-d`, autoAssignTopicAlias: true, autoUseTopicAlias: true,
		properties: {topicAliasMaximum: 4, receiveMaximum: 2, requestResponseInformation: true}});
	const told = await me.up;
	if (!told.properties.responseInformation.includes(`${job.name}-d`))
		throw new Error(`CONNACK: ${JSON.stringify(told)}`);
	await me.c.subscribeAsync(`${job.name}/5/#`, {qos: 1, nl: false, rap: true, rh: 1, properties: {subscriptionIdentifier: 300}});
	await me.c.subscribeAsync(`$share/group/${job.name}/5/shared`, {qos: 1});
	for (let i = 0; i < 5; i++) {
		await me.c.publishAsync(`${job.name}/5/x`, "x", {qos: 1, retain: true, properties: {...properties}});
		await me.next(`${job.name}/5/x`, 1, {qos: 1, retain: true, responseTopic: "back", contentType: "text", subscriptionIdentifier: 300,
			userProperties: {b: ["2", "1"], a: "0"}});
	}
	await me.c.publishAsync(`${job.name}/5/x`, "", {qos: 1, retain: true});
	await me.next(`${job.name}/5/x`, 0);
	await me.c.publishAsync(`${job.name}/5/shared`, "ab", {qos: 1});
	await me.next(`${job.name}/5/shared`, 2);
	await me.next(`${job.name}/5/shared`, 2);
	await me.gone();
}

async function paces(job) {
	try {
		await sends_to_itself(job);
		await comes_back(job);
		if (job.version === 5)
			await uses_what_5_has(job);
		console.log(`${job.name}: fine`);
		return 0;
	} catch (fault) {
		console.log(`${job.name}: ${fault.message}`);
		return 1;
	}
}

Promise.all(JSON.parse(process.argv[2]).map(paces)).then(faults => process.exit(Math.max(...faults)));
