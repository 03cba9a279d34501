export declare const Restored: Readonly<{
    /** The session is in exactly the saved state. */
    DONE: 'done';
    /** Nothing was saved, or the server does not offer STATE. */
    NOT_ASKED: 'not asked';
    /** The token will never do again. */
    REFUSED: 'refused';
    /** The token cannot be tried just now. */
    UNAVAILABLE: 'unavailable';
}>;

/** What withState() adds to ImapFlow. */
export interface WithState {
    readonly restored: (typeof Restored)[keyof typeof Restored];
    /** The string that is worth being stored now: what was given, unless it was refused; what saveState() has got since. */
    readonly saved: string | null;
    /** The commands that are in the state, so that a later session which restores it need not send them. */
    readonly covered: string[];
    /** Is this set-up command in the state? An ENABLE is if all its names are. */
    covers(name: string, args: string): boolean;
    /** ENABLE, LANGUAGE, COMPARATOR or NOTIFY, unless the state covers it. False if the server refuses. */
    setUp(name: string, args: string): Promise<boolean>;
    /** Has the server seal the state, if it is not the saved one already. Gives `saved`. */
    saveState(): Promise<string | null>;
}

/**
 * Makes a subclass of ImapFlow that uses STATE. Its constructor takes ImapFlow's options and `state`, a string from
 * saveState(); and `mailbox`, the one that the program opens first, which is then open once connect() has restored that
 * state.
 */
export declare function withState<ImapFlow extends new (options: any) => any>(
    ImapFlow: ImapFlow
): new (
    options: NonNullable<ConstructorParameters<ImapFlow>[0]> & {
        state?: string | null;
        mailbox?: string | { path: string; readOnly?: boolean };
    }
) => InstanceType<ImapFlow> & WithState;
