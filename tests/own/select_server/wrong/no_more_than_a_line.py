# as: select_server
# fails: any_length
# says: byte 4097 on
import asyncio
import sys


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        print("Connection from", transport.get_extra_info("peername"))

    def data_received(self, data):
        self.transport.write(data[:4096])


async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "0.0.0.0", int(sys.argv[1]))
    async with server:
        await server.serve_forever()


asyncio.run(main())
