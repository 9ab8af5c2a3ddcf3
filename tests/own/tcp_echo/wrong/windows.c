// as: echo_server
// fails: listens
// says: windows.c is written for Windows: line 5
#include <stdio.h>
#include <winsock2.h>
int main(void) { WSADATA data; return WSAStartup(MAKEWORD(2, 2), &data); }
