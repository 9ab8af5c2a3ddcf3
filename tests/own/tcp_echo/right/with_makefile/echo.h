void echo(int client);
