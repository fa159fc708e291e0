/** Who owns what a call creates and sees: everything has the same owner until access control is on. */
export const owner = "";
