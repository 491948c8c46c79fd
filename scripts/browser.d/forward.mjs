// forward.mjs PORT HOST TO: connections to PORT of this network's loopback go to TO of HOST.
import { connect, createServer } from 'node:net'

const [port, host, to] = process.argv.slice(2)
createServer(client => {
  const gateway = connect(Number(to), host)
  for (const [one, other] of [[client, gateway], [gateway, client]]) {
    one.on('error', () => other.destroy())
    one.pipe(other)
  }
}).listen(Number(port), '127.0.0.1', () => console.log('listening'))
