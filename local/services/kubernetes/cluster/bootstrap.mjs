// Loaded before the program of a container, in its process. It is plain JavaScript, because nothing of the embedded cloud is to be loaded there.
// All it does: the process does not outlive the embedded cloud, however that ends, and tells its memory where the system cannot.

const tell = process.send.bind(process);
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
process.channel.unref();
process.send = undefined;

if (process.platform !== "linux") setInterval(() => tell({ memory: process.memoryUsage.rss() }, () => {}), 200).unref();
