// Serves OHIF and Orthanc's DICOMweb from one origin.
//
//   node serve.mjs OHIF_DIST [PORT] [ORTHANC_URL]
//
// - /app-config.js is the configuration below, not the package's.
// - /dicom-web and /wado go to Orthanc.
// - Every other unknown path without an extension answers index.html, because OHIF routes in the page.
// - Cornerstone's workers share memory, which a browser allows only with the COOP and COEP headers.
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { pipeline } from "node:stream";

const [dist, port = "3000", orthanc = "http://127.0.0.1:8042"] = process.argv.slice(2);
if (!dist) {
  console.error("usage: node serve.mjs OHIF_DIST [PORT] [ORTHANC_URL]");
  process.exit(2);
}
const root = path.resolve(dist);

const config = {
  routerBasename: "/",
  extensions: [],
  modes: [],
  showStudyList: true,
  investigationalUseDialog: { option: "never" },
  showWarningMessageForCrossOrigin: false,
  showCPUFallbackMessage: true,
  strictZSpacingForVolumeViewport: true,
  maxNumberOfWebWorkers: 2,
  defaultDataSourceName: "orthanc",
  dataSources: [
    {
      namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
      sourceName: "orthanc",
      configuration: {
        friendlyName: "Orthanc",
        name: "orthanc",
        qidoRoot: "/dicom-web",
        wadoRoot: "/dicom-web",
        wadoUriRoot: "/wado",
        imageRendering: "wadors",
        thumbnailRendering: "wadors",
        qidoSupportsIncludeField: false,
        supportsReject: false,
        supportsFuzzyMatching: false,
        supportsWildcard: true,
        enableStudyLazyLoad: true,
        singlepart: "bulkdata,pdf",
        bulkDataURI: { enabled: true, relativeResolution: "studies" },
        omitQuotationForMultipartRequest: true,
      },
    },
  ],
};

const TYPES = {
  ".css": "text/css",
  ".gif": "image/gif",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".ttf": "font/ttf",
  ".wasm": "application/wasm",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
};
const ISOLATION = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

// A connection of its own for each request: Orthanc closes idle ones after a second.
const agent = new http.Agent({ keepAlive: false });

function proxy(request, response) {
  const target = new URL(request.url, orthanc);
  // Orthanc takes longer to compress a segmentation than to send it.
  const headers = { ...request.headers, host: target.host, "accept-encoding": "identity" };
  const forward = http.request(target, { method: request.method, headers, agent }, (answer) => {
    const { connection, "keep-alive": idle, ...kept } = answer.headers;
    response.writeHead(answer.statusCode, { ...kept, ...ISOLATION });
    // An answer that breaks off must not look like a whole one.
    pipeline(answer, response, (error) => {
      if (error) console.log(`${request.method} ${request.url}: ${error.message}`);
    });
  });
  forward.on("error", (error) => {
    if (!response.headersSent) response.writeHead(502, { "Content-Type": "text/plain" });
    response.end(`Orthanc does not answer: ${error.message}\n`);
  });
  request.pipe(forward);
}

async function file(request, response) {
  const name = decodeURIComponent(new URL(request.url, "http://localhost").pathname);
  let found = path.join(root, path.normalize(name));
  const exists =
    (found === root || found.startsWith(root + path.sep)) &&
    (await stat(found).then((s) => s.isFile(), () => false));
  if (!exists) {
    // A missing script must fail and not answer a page.
    if (path.extname(name) in TYPES) {
      response.writeHead(404, ISOLATION).end();
      return;
    }
    found = path.join(root, "index.html");
  }
  const type = TYPES[path.extname(found).toLowerCase()] ?? "application/octet-stream";
  response.writeHead(200, { "Content-Type": type, ...ISOLATION });
  createReadStream(found).pipe(response);
}

const server = http.createServer((request, response) => {
  if (/^\/(dicom-web|wado)(\/|\?|$)/.test(request.url)) {
    proxy(request, response);
  } else if (request.url.split("?")[0] === "/app-config.js") {
    response.writeHead(200, { "Content-Type": "text/javascript", ...ISOLATION });
    response.end(`window.config = ${JSON.stringify(config)};\n`);
  } else {
    file(request, response).catch((error) => response.writeHead(400).end(`${error.message}\n`));
  }
});
// A busy client may read the end of an answer long after it was sent.
server.keepAliveTimeout = 120_000;
server.listen(Number(port), "127.0.0.1", () => console.log(`OHIF on http://127.0.0.1:${port}`));
