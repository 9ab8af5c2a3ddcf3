# as: hello_server
# fails: greets
# says: the connection was refused
#!/usr/bin/env python3
"""한 명에게 인사하고 끝나는 서버"""
from __future__ import annotations

import argparse
import socket


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    port: int = parser.parse_args().port
    with socket.create_server(("", port), family=socket.AF_INET6) as server:
        print(f"포트 {port} 에서 대기 중...")
        conn, peer = server.accept()
        with conn, conn.makefile("w", encoding="utf-8", newline="\n") as stream:
            stream.write("Hello World~\n")
        print("보냄:", peer)


if __name__ == "__main__":
    main()
