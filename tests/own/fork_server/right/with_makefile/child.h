void child(int client);
void reaper_on(void);
