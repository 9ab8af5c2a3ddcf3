# as: select_server
# A protocol of asyncio, without a host: a thread of its own looks up where to listen, and stays.
import asyncio, sys

class EchoServerProtocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(data)

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
loop.run_until_complete(loop.create_server(EchoServerProtocol, port=int(sys.argv[1])))
try:
    loop.run_forever()
except KeyboardInterrupt:
    pass
