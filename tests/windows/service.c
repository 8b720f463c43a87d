/* A Windows service that does nothing but run, in SQL Server's place: the tests give it the name of an instance's service.
   It writes the SID of its own token into the file that its first argument names, for the exporter's word to be compared with. */
#include <windows.h>
#include <sddl.h>
#include <stdio.h>

static SERVICE_STATUS_HANDLE handle;
static HANDLE stopped;
static const char *file;

static void say(DWORD state, DWORD accepts)
{
    SERVICE_STATUS status = { SERVICE_WIN32_OWN_PROCESS, state, accepts, NO_ERROR, 0, 0, 0 };
    SetServiceStatus(handle, &status);
}

static DWORD WINAPI control(DWORD code, DWORD event, void *data, void *context)
{
    if (code == SERVICE_CONTROL_STOP)
        SetEvent(stopped);
    return NO_ERROR;
}

static BOOL write_own_sid(void)
{
    HANDLE token;
    BYTE user[256];
    DWORD size;
    char *text;
    FILE *out;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)
        || !GetTokenInformation(token, TokenUser, user, sizeof user, &size)
        || !ConvertSidToStringSidA(((TOKEN_USER *)user)->User.Sid, &text)
        || !(out = fopen(file, "w")))
        return FALSE;
    fputs(text, out);
    return fclose(out) == 0;
}

static void WINAPI service(DWORD count, char **arguments)
{
    handle = RegisterServiceCtrlHandlerExA("", control, NULL);
    stopped = CreateEventA(NULL, TRUE, FALSE, NULL);
    if (write_own_sid()) {
        say(SERVICE_RUNNING, SERVICE_ACCEPT_STOP);
        WaitForSingleObject(stopped, INFINITE);
    }
    say(SERVICE_STOPPED, 0);
}

int main(int count, char **arguments)
{
    SERVICE_TABLE_ENTRYA table[] = { { "", service }, { NULL, NULL } };
    if (count != 2)
        return 2;
    file = arguments[1];
    return !StartServiceCtrlDispatcherA(table);
}
