// A Sigstore of one's own, on loopback: Fulcio, Rekor (version 1) and a timestamp authority of npm's @sigstore/mock,
// behind the routes that sigstore-python asks, with certificates such as GitHub's workflows get.
//
//   node sigstore.cjs TRUST-CONFIG
//
// Writes a ClientTrustConfig to the file, prints the address, and serves until it is killed. A token's claims
// are believed as they are.
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const { createRequire } = require("node:module");
const path = require("node:path");

const packages = createRequire(path.join(__dirname, "..", "js", "package.json"));
const mock = packages("@sigstore/mock");
const pkijs = packages("pkijs");
const asn1js = packages("asn1js");

const AN_HOUR = 3600 * 1000;
const base64 = (bytes) => Buffer.from(bytes).toString("base64");
const newKey = () => crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKey = (pair) => pair.publicKey.export({ type: "spki", format: "der" });

function trustConfig(url, start, keys, authorities) {
  const key = (pair) => ({
    rawBytes: base64(publicKey(pair)),
    keyDetails: "PKIX_ECDSA_P256_SHA_256",
    validFor: { start },
  });
  const log = (pair) => ({
    baseUrl: url,
    hashAlgorithm: "SHA2_256",
    publicKey: key(pair),
    logId: { keyId: base64(crypto.createHash("sha256").update(publicKey(pair)).digest()) },
  });
  const chain = (...certificates) => ({ certificates: certificates.map((raw) => ({ rawBytes: base64(raw) })) });
  const subject = (commonName) => ({ organization: "lab", commonName });
  const service = (address) => ({ url: address, majorApiVersion: 1, operator: "lab", validFor: { start } });
  return {
    mediaType: "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
    trustedRoot: {
      mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
      tlogs: [log(keys.tlog)],
      ctlogs: [log(keys.ctlog)],
      certificateAuthorities: [
        {
          subject: subject("sigstore"),
          uri: url,
          certChain: chain(authorities.ca.rootCertificate),
          validFor: { start },
        },
      ],
      timestampAuthorities: [
        {
          subject: subject("timestamps"),
          certChain: chain(authorities.tsa.intCertificate, authorities.tsa.rootCertificate),
          validFor: { start },
        },
      ],
    },
    signingConfig: {
      mediaType: "application/vnd.dev.sigstore.signingconfig.v0.2+json",
      caUrls: [service(url)],
      oidcUrls: [service(`${url}/oidc`)],
      rekorTlogUrls: [service(url)],
      rekorTlogConfig: { selector: "ANY" },
      tsaUrls: [service(`${url}/api/v1/timestamp`)],
      tsaConfig: { selector: "ANY" },
    },
  };
}

// Fulcio names a workflow by its address; the stand-in takes the subject as it is.
function asWorkflow(token) {
  const [head, claims, signature] = token.split(".");
  const said = JSON.parse(Buffer.from(claims, "base64url"));
  said.sub = `${said.server}/${said.job_workflow_ref}`;
  return [head, Buffer.from(JSON.stringify(said)).toString("base64url"), signature].join(".");
}

// The stand-in knows one server only.
function onItsServer(ca) {
  const issue = ca.issueCertificate.bind(ca);
  ca.issueCertificate = ({ subjectAltName, extensions, ...rest }) => {
    const { origin } = new URL(subjectAltName);
    const named = extensions.map(({ value, ...extension }) => ({
      ...extension,
      value: value.replace(/^https:\/\/github\.com(?=\/)/, origin),
    }));
    return issue({ subjectAltName, extensions: named, ...rest });
  };
}

function certificateRequest(body, authorization) {
  const request = JSON.parse(body);
  if (request.certificateSigningRequest)
    request.certificateSigningRequest = Buffer.from(request.certificateSigningRequest, "base64").toString();
  const token = request.credentials?.oidcIdentityToken ?? (authorization ?? "").replace(/^Bearer /, "");
  request.credentials = { oidcIdentityToken: asWorkflow(token) };
  return JSON.stringify(request);
}

// Rekor keeps digests of an envelope, not the envelope; the stand-in would log what it is handed.
function logEntry(body) {
  const entry = JSON.parse(body);
  if (entry.kind === "dsse" && entry.spec.proposedContent) {
    const { envelope, verifiers } = entry.spec.proposedContent;
    const digest = (bytes) => ({ algorithm: "sha256", value: crypto.createHash("sha256").update(bytes).digest("hex") });
    const { payload, signatures } = JSON.parse(envelope);
    entry.spec = {
      envelopeHash: digest(envelope),
      payloadHash: digest(Buffer.from(payload, "base64")),
      signatures: signatures.map(({ sig }, place) => ({ signature: sig, verifier: verifiers[place] })),
    };
  }
  return JSON.stringify(entry);
}

async function timestamp(tsa, body) {
  const request = pkijs.TimeStampReq.fromBER(new Uint8Array(body));
  return tsa.timestamp({
    artifactHash: Buffer.from(request.messageImprint.hashedMessage.valueBlock.valueHexView),
    hashAlgorithmOID: request.messageImprint.hashAlgorithm.algorithmId,
    wholeNonce: request.nonce,
    policyOID: "1.3.6.1.4.1.57264.2",
    certReq: Boolean(request.certReq),
  });
}

// The stand-in squeezes a nonce of 64 bits into a number, and may count below zero.
function keepNonces(tsa) {
  const told = tsa.tstInfo.bind(tsa);
  tsa.tstInfo = (request) => {
    const info = told({ ...request, nonce: 0 });
    info.nonce = request.wholeNonce;
    info.serialNumber = new asn1js.Integer({ value: Date.now() % 1e9 });
    info.genTime = new Date(Math.floor(Date.now() / 1000) * 1000);
    return info;
  };
}

async function answer(request, body, { fulcio, rekor, tsa }) {
  switch (request.url) {
    case "/api/v2/signingCert":
      return fulcio.fn(certificateRequest(body, request.headers.authorization));
    case "/api/v1/log/entries":
      return rekor.fn(logEntry(body));
    case "/api/v1/timestamp":
      return {
        statusCode: 201,
        contentType: "application/timestamp-reply",
        response: await timestamp(tsa, body),
      };
    default:
      return { statusCode: 404, response: "not found" };
  }
}

async function main(file) {
  const server = http.createServer().listen(0, "127.0.0.1");
  await new Promise((ready) => server.once("listening", ready));
  const url = `http://127.0.0.1:${server.address().port}`;
  const keys = { ca: newKey(), ctlog: newKey(), tlog: newKey(), tsa: newKey() };
  const ca = await mock.initializeCA(keys.ca, await mock.initializeCTLog(keys.ctlog));
  onItsServer(ca);
  const tsa = await mock.initializeTSA(keys.tsa);
  keepNonces(tsa);
  const parts = { fulcio: mock.fulcioHandler(ca), rekor: mock.rekorHandler(await mock.initializeTLog(url, keys.tlog)), tsa };
  const start = new Date(Date.now() - AN_HOUR).toISOString();
  fs.writeFileSync(file, JSON.stringify(trustConfig(url, start, keys, { ca, tsa })));
  server.on("request", async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    try {
      const said = await answer(request, Buffer.concat(chunks), parts);
      response.writeHead(said.statusCode, { "Content-Type": said.contentType ?? "text/plain" });
      response.end(said.response);
    } catch (error) {
      response.writeHead(500).end(String(error.stack));
    }
  });
  console.log(url);
}

main(process.argv[2]);
